#!/bin/sh
# Pre-train protein.mini: run it again after an interruption and it goes on.
#   sh plugins/protein/recipe/pretrain.sh OUT/1 HOURS
#   python plugins/protein/recipe/ship.py OUT/1 "NAME OF THE DEVICE"
#   sh plugins/protein/recipe/pretrain.sh OUT/2 HOURS HOMOLOGUES
#   python plugins/protein/recipe/ship.py OUT/1 "NAME OF THE DEVICE" OUT/2 "NAME OF THE DEVICE"
# The first starts from chance. The second goes on from what was shipped, and learns from HOMOLOGUES, the file
# homologues.fasta that homologues.py makes for families.sh, the secondary structure that families agree on as well;
# what is shipped learned from that of a third round.
# LABTUNE_DATA is the folder of the public data; steps are sized for one GPU.
set -e
OUT=${1:?give the folder to make}
HOURS=${2:?give the hours to train}
LABELLED=$3
BIO=${LABTUNE_DATA:-../shared/data}/bio
[ -e "$OUT/pretrain.json" ] && RESUME=--resume
[ -z "$LABELLED" ] && FRESH="--weights fresh"
exec labtune pretrain protein.secondary_structure "$BIO"/protein_text/*.fasta.gz "$BIO"/protein_sequences/*.fasta \
    ${LABELLED:+--labelled "$LABELLED" --set label_weight=0.25} --encoder protein.mini $FRESH --out "$OUT" $RESUME \
    --set hours="$HOURS" --set compile=true --set step_tokens=98304 --set batch_tokens=98304 \
    --set mask_share=0.2 --set crop=256 --set long_crop=512 --set long_share=0.2 --set learning_rate=1.5e-3 \
    --set warmup=300 --set cooldown=0.3 --set valid_every=1000 --set checkpoint_every=2000 --set storage=bfloat16
