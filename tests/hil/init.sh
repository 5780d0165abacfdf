#!/bin/sh
# PID 1 of the test machine: a User-Mode Linux kernel whose root is the host's, read-only, under a tmpfs. It makes a simulated
# GPIO chip, runs the command in $HIL_COMMAND as the host's user would, and powers off. The kernel passes HIL_* from its own
# command line as environment.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root || exit 1
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t devtmpfs devtmpfs dev
mkdir -p dev/shm && mount -t tmpfs tmpfs dev/shm
mount -t configfs configfs sys/kernel/config
mkdir -p "mnt/results"
mount -t hostfs -o "$HIL_RESULTS" hostfs mnt/results
touch mnt/results/booted
ip link set lo up 2>/dev/null

bank=sys/kernel/config/gpio-sim/edge/bank0
mkdir -p sys/kernel/config/gpio-sim/edge "$bank"
echo 8 > "$bank/num_lines"
echo edge-sim > "$bank/label"
mkdir "$bank/line3" && echo reject > "$bank/line3/name"
mkdir "$bank/line4" && echo ready > "$bank/line4/name"
echo 1 > sys/kernel/config/gpio-sim/edge/live
device=$(cat sys/kernel/config/gpio-sim/edge/dev_name)
chip=$(cat "$bank/chip_name")

chroot . /bin/sh -c "cd '$HIL_PROJECT' && EDGE_INSPECT_GPIO_SIM='edge-sim:/sys/devices/platform/$device/$chip' HOME=/tmp \
  PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 sh '/mnt/results/command.sh' > /mnt/results/output 2>&1; echo \$? > /mnt/results/rc"
sync
exec "$HIL_PYTHON" -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
