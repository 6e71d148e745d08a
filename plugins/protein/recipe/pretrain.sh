#!/bin/sh
# Pre-train protein.mini: run it again after an interruption and it goes on.
#   sh plugins/protein/recipe/pretrain.sh OUT [STEPS]
# LABTUNE_DATA is the folder of the public data. Then: python plugins/protein/recipe/ship.py OUT
set -e
OUT=${1:?give the folder to make}
STEPS=${2:-20000}
BIO=${LABTUNE_DATA:-../shared/data}/bio
[ -e "$OUT/pretrain.json" ] && RESUME=--resume
exec labtune pretrain protein.property "$BIO"/protein_text/*.fasta.gz "$BIO"/protein_sequences/*.fasta \
    --encoder protein.mini --weights fresh --steps "$STEPS" --out "$OUT" $RESUME \
    --set mask_share=0.2 --set step_tokens=2048 --set batch_tokens=2048 --set crop=128 --set long_crop=256 \
    --set long_share=0.1 --set learning_rate=1.5e-3 --set warmup=200 --set valid_every=500 --set checkpoint_every=100 \
    --set storage=bfloat16
