"""A shop's review pages on mayar_reviews: an aiohttp.web application.

`app` builds it, `views` answers requests, `shop` reads and writes reviews, `cache` spares the
API, `guard` keeps strangers out and `speech` finds the words. `demo` puts a fake Mayar behind.
"""
