#!/bin/sh
# Teach convolutions on letters the secondary structure that families of sequences agree on; run it again to go on.
#   sh plugins/protein/recipe/families.sh OUT/1 1
#   python plugins/protein/recipe/ship_families.py OUT/1/run
#   sh plugins/protein/recipe/families.sh OUT/2 2
#   python plugins/protein/recipe/ship_families.py OUT/1/run OUT/2/run
# A round starts from what the round before shipped, and so does the network that labels for it; round 1 from chance.
# LABTUNE_DATA is the folder of the public data. Needs mmseqs.
set -e
OUT=${1:?give the folder to make}
ROUND=${2:?give the number of the round}
python "$(dirname "$0")/homologues.py" "$OUT" "$ROUND"
[ -e "$OUT/run" ] && RESUME=--resume
[ "$ROUND" = 1 ] && PRETRAINED=false
exec labtune run protein.secondary_structure --preset letters --out "$OUT/run" $RESUME \
    --train "$OUT/homologues.fasta" --valid "$OUT/valid.fasta" --set audit=off --set coverage=0 --set epochs=1 \
    --set batch_size=24 --set head.pretrained=${PRETRAINED:-true} --set head.dropout=0.05 \
    --set head_learning_rate=2e-3
