"""Segments: clusters of customers, chosen by stability and described in words."""
