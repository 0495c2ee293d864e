#!/bin/bash
# A sweep as a job of SLURM's. In fpray's virtual environment, which must lie where all nodes see it:
#   sbatch clusters/slurm.sh my-sweep.yaml
# Ray runs on the job's nodes and ends with it. When the time is nearly up, when Ray or a node dies, or when the job is
# preempted with requeueing, the job goes back into the queue, and the sweep goes on where it was.
# `squeue --me`, `tail -f fpray-JOB.log`, and `scancel JOB`, after which the same command goes on, too.

# EDIT: how much, and for how long. These are read by sbatch, and what sbatch is given on the command line comes first.
#SBATCH --nodes=2
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00

# Whole nodes: a Ray of someone else's on the same node would be in the way, and ours in theirs.
#SBATCH --exclusive
#SBATCH --ntasks-per-node=1
# Five minutes before the end, for the epochs that trials are in: longer than the longest of yours.
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --job-name=fpray
#SBATCH --output=fpray-%j.log

set -euo pipefail
sweep_file=$1
ours=$SLURMD_NODENAME
address=$ours:$((20000 + SLURM_JOB_ID % 10000))

# A node that is to end would wait half a minute for its head, which has ended.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 PYTHONUNBUFFERED=1
# The secret that nodes prove to each other that they belong together; without it Ray runs anyone's code.
export RAY_AUTH_MODE=token
umask 077
[ -s ~/.ray/auth_token ] || ray get-auth-token --generate > /dev/null

stop_ray() { ray stop --force > /dev/null; }
stop_ray # what a job that was killed has left here, where SLURM doesn't see to that
trap stop_ray EXIT
room=(--num-cpus="$SLURM_CPUS_ON_NODE")
ray start --head --port="${address##*:}" --include-dashboard=false "${room[@]}" > /dev/null
if ((SLURM_JOB_NUM_NODES > 1)); then
  others=$((SLURM_JOB_NUM_NODES - 1))
  srun --nodes=$others --ntasks=$others --exclude="$ours" --cpus-per-task="$SLURM_CPUS_ON_NODE" \
    ray start --address="$address" --block "${room[@]}" > /dev/null &
  timeout 300 python -c "import ray, time; ray.init('$address', logging_level='error')
while len(ray.nodes()) < $SLURM_JOB_NUM_NODES: time.sleep(1)"
fi

fpray sweep "$sweep_file" --address "$address" &
sweep=$!
time_is_up=
trap 'time_is_up=yes; kill -TERM $sweep' USR1
code=0; wait $sweep || code=$?
[ -z "$time_is_up" ] || { code=0; wait $sweep || code=$?; }  # the first wait ended with the signal

# 75: Ray died. Above 128: interrupted. All else is an end: 0, 1 where trials failed, 2 for a mistake to mend.
if ((code == 75)) || { [ -n "$time_is_up" ] && ((code > 128)); }; then
  stop_ray # now, since SLURM kills this script at once
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
