"""What a score is worth on randomised rows: Qini, money by share of people contacted, tenths, and the page of it."""
