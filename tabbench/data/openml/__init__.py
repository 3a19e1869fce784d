"""OpenML: `client` asks the server, `cache` keeps what came as Parquet and JSON, `pull` fills it, `tables` reads it."""
