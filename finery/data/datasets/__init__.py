"""Where datasets are: dataset_info.json, hubs, buckets."""
