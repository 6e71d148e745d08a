#!/bin/sh
# Pre-train protein.mini: run it again after an interruption and it goes on.
#   sh plugins/protein/recipe/pretrain.sh OUT [HOURS]
# LABTUNE_DATA is the folder of the public data; steps are sized for one GPU: in a short trial an H100
# of its own read 1.4 million tokens a second. Then: python plugins/protein/recipe/ship.py OUT "NAME OF THE DEVICE"
set -e
OUT=${1:?give the folder to make}
HOURS=${2:-1}
BIO=${LABTUNE_DATA:-../shared/data}/bio
[ -e "$OUT/pretrain.json" ] && RESUME=--resume
exec labtune pretrain protein.property "$BIO"/protein_text/*.fasta.gz "$BIO"/protein_sequences/*.fasta \
    --encoder protein.mini --weights fresh --out "$OUT" $RESUME \
    --set hours="$HOURS" --set compile=true --set step_tokens=98304 --set batch_tokens=98304 \
    --set mask_share=0.2 --set crop=256 --set long_crop=512 --set long_share=0.2 --set learning_rate=1.5e-3 \
    --set warmup=300 --set cooldown=0.3 --set valid_every=1000 --set checkpoint_every=2000 --set storage=bfloat16
