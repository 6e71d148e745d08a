#!/bin/sh
# Teach convolutions on letters the secondary structure that families of sequences agree on; run it again to go on.
#   sh plugins/protein/recipe/families.sh OUT
# LABTUNE_DATA is the folder of the public data. Needs mmseqs. Then:
#   python plugins/protein/recipe/ship_families.py OUT/run
set -e
OUT=${1:?give the folder to make}
python "$(dirname "$0")/homologues.py" "$OUT"
[ -e "$OUT/run" ] && RESUME=--resume
exec labtune run protein.secondary_structure --preset letters --out "$OUT/run" $RESUME \
    --train "$OUT/homologues.fasta" --valid "$OUT/valid.fasta" --set audit=off --set coverage=0 --set epochs=1 \
    --set batch_size=24 --set head.pretrained=false --set head.dropout=0.05 --set head_learning_rate=2e-3
