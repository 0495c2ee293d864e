# Process 1 of a host, in namespaces of its own: boot.sh NAME FOLDER SEEN...
# It lays an empty layer over this machine's files, starts sshd, and ends, and every process of the host with it, when
# its standard input does: that is held open by the test's process, however that ends.
set -euo pipefail
name=$1 folder=$2
home=/home/fpray

mount --make-rprivate /
mount -t tmpfs tmpfs "$folder/$name"
cd "$folder/$name"
mkdir changes work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/changes,workdir=$PWD/work" root
cd root
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
for fresh in tmp run dev/shm; do mount -t tmpfs tmpfs $fresh; done
chmod 1777 tmp dev/shm
# What all hosts share, and what the layer doesn't show: it covers one file system, and not what hides under /tmp.
for seen in "$folder" "${@:3}"; do
  mkdir -p ".$seen"
  mount --rbind "$seen" ".$seen"
done
mount --bind "$folder/hosts" etc/hosts
pivot_root . .  # the old root lies on top of the new one now,
umount --lazy . # and is taken off
cd /

hostname "$name"
echo "$name" > /etc/hostname
sed -i "s,^root:.*,root:x:0:0:root:$home:/bin/bash," /etc/passwd
mkdir -p $home/.ssh /run/sshd
chmod 700 $home $home/.ssh
cp "$folder/key.pub" $home/.ssh/authorized_keys
cp "$folder/ssh_config" $home/.ssh/config
cp "$folder/environment" $home/.bashrc
echo '. ~/.bashrc' > $home/.profile
/usr/sbin/sshd -D -e -f /dev/null -h "$folder/key" -o StrictModes=no -o PidFile=none -o MaxStartups=100 \
  -o Subsystem='sftp internal-sftp' &
cat > /dev/null
