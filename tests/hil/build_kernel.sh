#!/usr/bin/env bash
# Builds the kernel of the test machine from Debian's source package and prints its path, the last line on stdout.
#
#   tests/hil/build_kernel.sh [folder]      default: ~/.cache/edge-inspect
#
# What was built once is kept under the source's version and the configuration's hash. Needs apt-get with bookworm's security archive
# or any other that has the package, gcc, make, flex, bison, bc and xz; some 2 GB in /dev/shm while it runs, 7 MB in the end.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
package="${EDGE_INSPECT_UML_SOURCE:-linux-source-6.12}"
keep="${1:-${XDG_CACHE_HOME:-$HOME/.cache}/edge-inspect}"
needed="GPIO_SIM GPIO_CDEV VIDEO_VIVID HOSTFS OVERLAY_FS DEVTMPFS CONFIGFS_FS TMPFS"

for tool in apt-get apt-cache gcc make flex bison bc xz; do
    command -v "$tool" >/dev/null || { echo "build_kernel: $tool is missing; apt-get install gcc make flex bison bc xz-utils" >&2; exit 2; }
done
version="$(apt-cache show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Version: //p')"
[ -n "$version" ] || { echo "build_kernel: apt knows no $package; run apt-get update, or name another in EDGE_INSPECT_UML_SOURCE" >&2; exit 2; }
kernel="$keep/linux-uml-$version-$(sha256sum "$here/kconfig.fragment" | cut -c1-12)"
if [ -x "$kernel" ]; then
    echo "$kernel"
    exit 0
fi

mkdir -p "$keep"
build="$(mktemp -d /dev/shm/edge-inspect-kernel.XXXXXX)" # in memory: on a disk the source's 80,000 files take minutes to remove
trap 'rm -rf "$build"' EXIT
cd "$build"
chmod 755 . # apt's own user writes here
{
    apt-get download "$package=$version"
    dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './usr/src/linux-source-*.tar.xz'
    rm ./*.deb
    mkdir source
    tar -xJf usr/src/*.tar.xz -C source --strip-components=1
    rm -r usr
    cd source
    make -s ARCH=um O=../out KCONFIG_ALLCONFIG="$here/kconfig.fragment" allnoconfig
    for option in $needed; do
        grep -qx "CONFIG_$option=y" ../out/.config || { echo "build_kernel: CONFIG_$option did not become y; see kconfig.fragment"; exit 2; }
    done
    nice make -s ARCH=um O=../out -j"$(nproc)" linux
    strip ../out/linux
} >&2
# Beside, then renamed: who looks for it never finds half of one.
install -m 755 ../out/linux "$kernel.new"
mv "$kernel.new" "$kernel"
echo "$kernel"
