"""Named-entity recognition for labtune."""
