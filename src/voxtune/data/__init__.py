"""Rows to batches: manifests, splits, the audit, caches, examples."""
