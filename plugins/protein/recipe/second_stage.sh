#!/bin/sh
# Teach protein.mini the secondary structure that families of sequences agree on; run it again to go on.
#   sh plugins/protein/recipe/second_stage.sh OUT
# Not part of what is shipped: it makes secondary structure better and whole proteins worse (see the project's results).
# Families alone come first, then unlabelled text among them. LABTUNE_DATA is the folder of the public data. Needs
# mmseqs. PROCESSES is one for each GPU, or each core of a CPU. Then:
#   python benchmarks/quality/protein.py --starts taught --taught OUT/mixed/encoder
set -e
OUT=${1:?give the folder to make}
BIO=${LABTUNE_DATA:-../shared/data}/bio
python "$(dirname "$0")/homologues.py" "$OUT"

teach() { # FROM TO HOURS LABEL_WEIGHT [FILE…]
    from=$1 to=$2 hours=$3 weight=$4 resume=
    shift 4
    [ -e "$to/metrics.json" ] && return
    [ -e "$to/pretrain.json" ] && resume=--resume
    labtune pretrain protein.secondary_structure "$@" --labelled "$OUT/homologues.fasta" --encoder "$from" \
        --out "$to" $resume --processes "${PROCESSES:-1}" \
        --set hours="$hours" --set label_weight="$weight" --set step_tokens=8192 --set batch_tokens=4096 \
        --set mask_share=0.1 --set crop=256 --set long_share=0 --set learning_rate=5e-4 \
        --set warmup=60 --set cooldown=0.5 --set valid_every=150 --set checkpoint_every=150 --set storage=bfloat16
}

teach protein.mini "$OUT/families" 0.7 2
teach "$OUT/families/encoder" "$OUT/mixed" 1.4 3 "$BIO/protein_text/part-00.fasta.gz"
