"""Pages for marketers, served by the service at ``/app``: read in English and Chinese, on a desk and on a phone."""
