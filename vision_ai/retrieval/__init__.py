"""An index on disk and in rows: versioned folders, one Parquet table, people's labels."""
