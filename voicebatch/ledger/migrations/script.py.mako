"""${message}"""

import sqlalchemy as sa
from alembic import op

from voicebatch.ledger.columns import Exact, Instant

revision = "${up_revision}"
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "..."}
