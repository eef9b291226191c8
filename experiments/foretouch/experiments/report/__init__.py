"""What people read: sentences, numbers by locale, charts, the page."""
