#!/bin/sh
# Pre-train protein.mini: run it again after an interruption and it goes on.
#   sh plugins/protein/recipe/pretrain.sh OUT [HOURS] [HOURS OF THE SECOND STAGE]
# First hidden residues, of all sequences; then also the secondary structure that families agree on (homologues.py, which
# needs mmseqs). LABTUNE_DATA is the folder of the public data. The first stage's steps are sized for one GPU: in a short
# trial an H100 of its own read 1.4 million tokens a second. PROCESSES is one for each GPU, or each core of a CPU.
# Then: python plugins/protein/recipe/ship.py OUT "DEVICE OF THE FIRST STAGE" "DEVICE OF THE SECOND"
set -e
OUT=${1:?give the folder to make}
HERE=$(dirname "$0")
BIO=${LABTUNE_DATA:-../shared/data}/bio

stage() { # FOLDER ARGUMENTS…
    folder=$1
    shift
    resume=
    [ -e "$folder/pretrain.json" ] && resume=--resume
    [ -e "$folder/metrics.json" ] || labtune pretrain "$@" --processes "${PROCESSES:-1}" --out "$folder" $resume
}

stage "$OUT/first" protein.property "$BIO"/protein_text/*.fasta.gz "$BIO"/protein_sequences/*.fasta \
    --encoder protein.mini --weights fresh \
    --set hours="${2:-1}" --set compile=true --set step_tokens=98304 --set batch_tokens=98304 \
    --set mask_share=0.2 --set crop=256 --set long_crop=512 --set long_share=0.2 --set learning_rate=1.5e-3 \
    --set warmup=300 --set cooldown=0.3 --set valid_every=1000 --set checkpoint_every=2000 --set storage=bfloat16
python "$HERE/homologues.py" "$OUT/states"
stage "$OUT/second" protein.secondary_structure --labelled "$OUT/states/homologues.fasta" \
    --encoder "$OUT/first/encoder" \
    --set hours="${3:-0.7}" --set label_weight=2 --set step_tokens=8192 --set batch_tokens=4096 \
    --set mask_share=0.1 --set crop=256 --set long_share=0 --set learning_rate=5e-4 \
    --set warmup=60 --set cooldown=0.5 --set valid_every=150 --set checkpoint_every=150 --set storage=bfloat16
