"""The tables of the state. Times are integer microseconds since 1970 UTC; bodies are canonical JSON.

Written once, for SQLite; ``postgres_tables`` is the same for Postgres.
"""

VERSION = 3

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS artifacts (
    sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
    sequence INTEGER PRIMARY KEY, decision_id TEXT NOT NULL UNIQUE, customer_id TEXT NOT NULL,
    touchpoint TEXT NOT NULL, decided_at INTEGER NOT NULL, status TEXT NOT NULL, record BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS decisions_by_customer ON decisions (customer_id, decided_at);
CREATE INDEX IF NOT EXISTS decisions_by_time ON decisions (decided_at);
CREATE TABLE IF NOT EXISTS shadows (decision_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (
    scope TEXT NOT NULL, key TEXT NOT NULL, body_sha256 TEXT NOT NULL, decision_id TEXT,
    response BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contacts (
    contact_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, household_id TEXT, offer_id TEXT NOT NULL,
    channel TEXT NOT NULL, at INTEGER NOT NULL, status TEXT NOT NULL, decision_id TEXT, expires_at INTEGER,
    placement TEXT, category TEXT, answered INTEGER)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contacts_by_customer ON contacts (customer_id, at);
CREATE INDEX IF NOT EXISTS contacts_by_household ON contacts (household_id, at);
CREATE INDEX IF NOT EXISTS contacts_by_time ON contacts (at);
CREATE INDEX IF NOT EXISTS contacts_due ON contacts (expires_at) WHERE status = 'reserved';
CREATE TABLE IF NOT EXISTS counters (
    scope TEXT NOT NULL, name TEXT NOT NULL, bucket INTEGER NOT NULL, contacts INTEGER NOT NULL,
    PRIMARY KEY (scope, name, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cap_changes (contact_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (
    sequence INTEGER PRIMARY KEY, outcome_id TEXT NOT NULL UNIQUE, decision_id TEXT NOT NULL,
    customer_id TEXT NOT NULL, type TEXT NOT NULL, occurred_at INTEGER NOT NULL, received_at INTEGER NOT NULL,
    body BLOB NOT NULL, is_bot INTEGER NOT NULL DEFAULT 0, channel TEXT, offer_id TEXT, category TEXT);
CREATE INDEX IF NOT EXISTS outcomes_by_decision ON outcomes (decision_id);
CREATE INDEX IF NOT EXISTS outcomes_by_customer ON outcomes (customer_id, occurred_at);
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, customer_id TEXT NOT NULL, event TEXT NOT NULL,
    occurred_at INTEGER NOT NULL, received_at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_customer ON events (customer_id, occurred_at);
CREATE TABLE IF NOT EXISTS quarantine (
    sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS customers (
    customer_id TEXT PRIMARY KEY, household_id TEXT, time_zone TEXT, language TEXT, attributes BLOB NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS posted_customers (
    customer_id TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS consents (
    customer_id TEXT NOT NULL, channel TEXT NOT NULL, purpose TEXT NOT NULL, at INTEGER NOT NULL,
    granted INTEGER NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (customer_id, channel, purpose, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suppressions (
    customer_id TEXT NOT NULL, channel TEXT NOT NULL, purpose TEXT NOT NULL, reason TEXT NOT NULL,
    ends_at INTEGER, added_at INTEGER NOT NULL, PRIMARY KEY (customer_id, channel, purpose)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, scopes TEXT NOT NULL, created_at INTEGER NOT NULL,
    expires_at INTEGER, revoked_at INTEGER, note TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    detail BLOB NOT NULL, previous_sha256 TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    token_sha256 TEXT PRIMARY KEY, key_id TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS crossings (
    model TEXT NOT NULL, customer_id TEXT NOT NULL, crossed_at INTEGER NOT NULL, delivered_at INTEGER,
    message_id TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, rearmed_at INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (model, customer_id, crossed_at)) WITHOUT ROWID;
"""

FROM_1_TO_2 = """
ALTER TABLE contacts ADD COLUMN placement TEXT;
ALTER TABLE contacts ADD COLUMN category TEXT;
ALTER TABLE contacts ADD COLUMN answered INTEGER;
ALTER TABLE outcomes ADD COLUMN is_bot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outcomes ADD COLUMN channel TEXT;
ALTER TABLE outcomes ADD COLUMN offer_id TEXT;
ALTER TABLE outcomes ADD COLUMN category TEXT;
DROP INDEX IF EXISTS contacts_by_offer;
"""
"""Before the tables and indexes of version 2 are made; what the new columns hold is filled in afterwards.

Version 3 only adds the table ``sessions``, which ``TABLES`` makes.
"""


def statements(script: str) -> list[str]:
    """The statements of a script, in order."""
    return [statement.strip() for statement in script.split(";") if statement.strip()]


def postgres_tables() -> str:
    """``TABLES`` in Postgres' words; text is ordered by its bytes, as in SQLite."""
    return (
        TABLES.replace(" INTEGER PRIMARY KEY", " BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
        .replace(" INTEGER", " BIGINT")
        .replace(" BLOB", " BYTEA")
        .replace(" TEXT", ' TEXT COLLATE "C"')
        .replace("WITHOUT ROWID", "")
    )
