"""The provider's address, limits and codes: tables, each with where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from voicebatch.models import Channel, RateLimit

BASE_URL: Final = "https://api.voicepartner.fr/v1"
TIME_ZONE: Final = ZoneInfo("Europe/Paris")  # assumed: of scheduledDate and of the callbacks' times
DATE_FORMAT: Final = "%Y-%m-%d %H:%M:00"
NUMBERS_PER_REQUEST: Final = 500  # documented for /campaign/send; assumed for /tts/send
SPEECH_RATE_MIN: Final = Decimal("0.5")
SPEECH_RATE_MAX: Final = Decimal(2)

PATHS: Final[Mapping[Channel, str]] = {Channel.VOICE_SMS: "/tts/send", Channel.VOICEMAIL: "/campaign/send"}
RATE_LIMITS: Final[Mapping[Channel, tuple[RateLimit, ...]]] = {
    Channel.VOICE_SMS: (RateLimit(requests=2000, seconds=3600),),
    Channel.VOICEMAIL: (RateLimit(requests=2000, seconds=3600), RateLimit(requests=5, seconds=60)),
}
CREDIT_LIMIT: Final = RateLimit(requests=5, seconds=60)  # of GET /me
AUDIO_NAME_LENGTHS: Final = range(3, 51)  # characters of a recording's name

LANGUAGES: Final[tuple[str, ...]] = (  # assumed: the provider publishes no list
    "ar", "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "eu", "fi", "fr", "gl", "he", "hi", "hr", "hu",
    "id", "is", "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv",
    "th", "tr", "uk", "vi", "zh",
)  # fmt: skip

# The codes of the provider's error page, by what they say about the next request.
ACCOUNT_CODES: Final[Mapping[str, str]] = {
    "1": "the API key is missing",
    "10": "the API key is wrong",
    "11": "the account has no credit left",
    "NOT_CREDIT": "the account has no credit left",
    "20": "the account is disabled",
    "30": "the account is blocked",
    "40": "access is refused",
    "96": "this machine's IP address is not allowed",
}
REQUEST_CODES: Final[Mapping[str, str]] = {
    "2": "a phone number is required",
    "PHONE_NUMBER_REQUIRED": "a phone number is required",
    "43": "a text is required",
    "45": "the scheduled date is not accepted",
    "46": "the scheduled date is not accepted",
    "47": "the scheduled date is not accepted",
    "48": "the scheduled date is not accepted",
    "49": "the scheduled date is not accepted",
    "50": "too many phone numbers in one request",
    "PHONE_NUMBER_SIZE_ERROR": "too many phone numbers in one request",
    "90": "the request's JSON is malformed",
    "TOKEN_AUDIO_REQUIRED": "an audio token is required",
    "AUDIO_FILE_NOT_FOUND": "there is no audio file with this token",
    "NOTIFY_URL_INVALID": "the notify URL is not accepted",
    "SENDER_NOT_AUTHORIZED": "the sender is not authorised",
    "SENDER_INVALID": "the sender is not valid",
}
FINE: Final = "200"  # of the control codes; documented for /campaign/cancel, and not among the errors
CANCEL_CODES: Final[Mapping[str, str]] = {  # DELETE /campaign/cancel has its own: 10 is no wrong key there
    "400": "the request is bad",
    "10": "it may not be cancelled",
    "404": "there is no such campaign",
}
NUMBER_CODES: Final[Mapping[str, str]] = {
    "13": "there is no price for a number in the request",
    "14": "a number in the request is on the provider's STOP list",
    "55": "there is no number to send to",
    "DESTINATION_INVALID": "a number in the request is not a valid destination",
}
