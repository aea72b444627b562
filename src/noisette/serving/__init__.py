"""`noisette serve`: an HTTP API that draws the requests of many clients together, in batches."""
