"""What people read of a decision: reasons, texts and their translations."""
