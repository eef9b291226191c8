"""One ``state.db`` per workspace: decisions, outcomes, events, caps, consent, keys, audit. Shared by all workers."""
