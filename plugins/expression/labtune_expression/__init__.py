"""Gene expression for labtune: from DNA to expression, from expression to cell type."""
