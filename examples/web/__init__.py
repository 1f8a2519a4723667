"""A shop's review pages on mayar_reviews: an aiohttp.web application.

`shop` reads and writes reviews, with `cache` and `changes`, under any web framework. `app` puts
aiohttp's around it. README.md says what the other modules do.
"""
