"""Statistics of one experiment: a table of units and a spec in, results out."""
