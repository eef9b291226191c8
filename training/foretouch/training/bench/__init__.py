"""The jobs of ``foretouch bench``: any table of the right shape in, predictions or figures out."""
