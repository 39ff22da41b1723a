"""The only SQL: connections, migrations and one module per group of tables.

May import ``errors``, ``model`` and ``observe``; knows nothing of rooms or the web.
"""
