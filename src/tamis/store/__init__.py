"""What survives a restart: records in a database, files in object storage. The only SQL and object storage there is.

It knows no data rules, no machine learning and no settings: everything it needs is given as arguments.
"""
