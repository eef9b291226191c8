"""What happened and why: from the decision log to funnels, attribution, cost and the days that stand out."""
