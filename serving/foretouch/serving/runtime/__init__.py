"""What runs between callers and the pure decision: the data plane, its transactions and its upkeep."""
