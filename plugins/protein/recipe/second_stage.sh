#!/bin/sh
# Teach protein.mini the secondary structure that families of sequences agree on; run it again to go on.
#   sh plugins/protein/recipe/second_stage.sh OUT [HOURS]
# Not part of what is shipped: it makes secondary structure better and whole proteins worse (see the project's results).
# Needs mmseqs. PROCESSES is one for each GPU, or each core of a CPU. Then:
#   python benchmarks/quality/protein.py --starts taught --taught OUT/taught/encoder
set -e
OUT=${1:?give the folder to make}
python "$(dirname "$0")/homologues.py" "$OUT"
[ -e "$OUT/taught/pretrain.json" ] && RESUME=--resume
exec labtune pretrain protein.secondary_structure --labelled "$OUT/homologues.fasta" --encoder protein.mini \
    --out "$OUT/taught" $RESUME --processes "${PROCESSES:-1}" \
    --set hours="${2:-0.7}" --set label_weight=2 --set step_tokens=8192 --set batch_tokens=4096 \
    --set mask_share=0.1 --set crop=256 --set long_share=0 --set learning_rate=5e-4 \
    --set warmup=60 --set cooldown=0.5 --set valid_every=150 --set checkpoint_every=150 --set storage=bfloat16
