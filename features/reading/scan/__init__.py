"""One pass over a searchset: the plain Observations come as columns, all else as the bytes that it was sent as.

scan.c reads; `searchset` hands it over to Python; `plain` makes rows of it. Without a C compiler there is none of
this, and `features.reading.decode` reads everything, with the same result: tests/features/reading/scan compare the two.
"""
