"""Voice Partner over HTTPS: one request out, one ``Reply`` back, whatever happens on the way."""

from voicebatch.provider.client import Provider, check_base_url

__all__ = ["Provider", "check_base_url"]
