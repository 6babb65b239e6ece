"""Voice Partner's API as it stands on the wire: addresses, limits, codes, and what goes in both directions.

The client (``provider``), the ``sandbox`` and what takes ``callbacks`` speak through this package, so a field is named
once. Where the provider's pages are silent, what we assume stands here under the word *assumed*, one line each.
"""

from voicebatch.wire.account import (
    AUDIOS_PATH,
    CANCEL_PATH,
    CREDIT_PATH,
    RENAME_PATH,
    RenameRequest,
    path,
    read_audios,
    read_cancellation,
    read_credit,
    read_renamed,
    write_audios,
    write_cancellation,
    write_credit,
    write_renamed,
)  # fmt: skip
from voicebatch.wire.callbacks import (
    SECRET_BYTES,
    attempt_of,
    callback_url,
    international,
    read_voice_callback,
    read_voicemail_callback,
    voicemail_callback_url,
    write_voice_callback,
)  # fmt: skip
from voicebatch.wire.codes import (
    ACCOUNT_CODES,
    AUDIO_NAME_LENGTHS,
    BASE_URL,
    CANCEL_CODES,
    CREDIT_LIMIT,
    DATE_FORMAT,
    FINE,
    LANGUAGES,
    NUMBER_CODES,
    NUMBERS_PER_REQUEST,
    PATHS,
    RATE_LIMITS,
    REQUEST_CODES,
    SPEECH_RATE_MAX,
    SPEECH_RATE_MIN,
    TIME_ZONE,
)  # fmt: skip
from voicebatch.wire.forms import RefusedRequest, UnreadableAnswer
from voicebatch.wire.sending import (
    CampaignRequest,
    SendRequest,
    read_answer,
    request_for,
    write_answer,
    write_campaign_answer,
    write_error,
)  # fmt: skip

__all__ = [
    "ACCOUNT_CODES", "AUDIOS_PATH", "AUDIO_NAME_LENGTHS", "BASE_URL", "CANCEL_CODES", "CANCEL_PATH", "CREDIT_LIMIT",
    "CREDIT_PATH", "DATE_FORMAT", "FINE", "LANGUAGES", "NUMBERS_PER_REQUEST", "NUMBER_CODES", "PATHS", "RATE_LIMITS",
    "RENAME_PATH", "REQUEST_CODES", "SECRET_BYTES", "SPEECH_RATE_MAX", "SPEECH_RATE_MIN", "TIME_ZONE",
    "CampaignRequest", "RefusedRequest", "RenameRequest", "SendRequest", "UnreadableAnswer", "attempt_of",
    "callback_url", "international", "path", "read_answer", "read_audios", "read_cancellation", "read_credit",
    "read_renamed", "read_voice_callback", "read_voicemail_callback", "request_for", "voicemail_callback_url",
    "write_answer", "write_audios", "write_campaign_answer", "write_cancellation", "write_credit", "write_error",
    "write_renamed", "write_voice_callback",
]  # fmt: skip
