"""Language models as nets: the only rooms that know transformers."""
