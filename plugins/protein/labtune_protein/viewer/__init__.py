"""Chains to turn and touch in a report: 3Dmol.js (Rego and Koes 2015, doi:10.1093/bioinformatics/btu829).

``3Dmol-min.js`` is a published file of the npm package ``3dmol``, under the licence beside it; ``fetch.py`` renews it.
"""
