"""What a person asks first when something is wrong: is everything there, readable, of one piece, and up to date?"""
