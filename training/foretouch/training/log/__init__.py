"""Training from the decision log: what each logged row is, who learns from it, and how it compares with history."""
