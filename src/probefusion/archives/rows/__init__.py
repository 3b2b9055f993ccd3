"""Archives as rows of embeddings: folders of arrays and Parquet files, and the ids of their people."""
