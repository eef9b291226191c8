"""``foretouch bench analysis``: what an analysis costs, beside the libraries that others would use."""
