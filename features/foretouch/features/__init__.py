"""Events in, features out: ingest, as-of feature tables, Feast offline and online, sample data, simulated world."""
