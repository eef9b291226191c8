"""The shared words of Foretouch: ids, columns, contracts, configuration, clock, randomness, the decision log."""
