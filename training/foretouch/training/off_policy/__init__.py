"""What a policy would have earned, from a log that another policy wrote, or why the log cannot say."""
