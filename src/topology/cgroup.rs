//! How much CPU time the control groups leave this process.
//!
//! A quota bounds a group and all groups below it, so what counts is the smallest on the way from this thread's group
//! up to the root that it can see: `cpu.max` in the unified hierarchy (v2), `cpu.cfs_quota_us` over
//! `cpu.cfs_period_us` in the cpu hierarchy (v1). A hybrid system has both. /proc/thread-self/cgroup names the group, and
//! /proc/thread-self/mountinfo where its hierarchy is mounted; the standard library reads those of the process (threads may
//! be in groups of their own), rounds quotas down and asks the v1 group itself only.
//!
//! Whatever is missing or makes no sense sets no limit: these files come from outside, and half a container is common.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// More than any of these files holds; what lies beyond is not read.
const MAX_FILE: u64 = 16 << 20;

/// The CPUs that the quotas of the groups above the calling thread amount to, rounded up; None: there is no quota. `root` is
/// where the file system begins.
pub fn quota(root: &Path) -> Option<u32> {
    let of_thread = root.join("proc/thread-self");
    let groups = read(&of_thread.join("cgroup"))?;
    let mounts = read(&of_thread.join("mountinfo"))?;
    lines(&groups).filter_map(|line| Group::parse(line)?.quota(root, &mounts)).min()
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut content).ok()?;
    Some(content)
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|&byte| byte == b'\n')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A line of /proc/thread-self/cgroup: `0::/path` (v2) or `4:cpu,cpuacct:/path` (v1).
struct Group<'a> {
    version: Version,
    path: &'a [u8],
}

impl<'a> Group<'a> {
    /// The group, if it can have a CPU quota.
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match controllers {
            b"" if number == b"0" => Version::V2,
            _ if has(controllers, b"cpu") => Version::V1,
            _ => return None,
        };
        Some(Group { version, path })
    }

    fn quota(&self, root: &Path, mounts: &[u8]) -> Option<u32> {
        let mounts = lines(mounts).filter_map(Mount::parse).filter(|mount| mount.version == self.version);
        let (showing, others): (Vec<_>, Vec<_>) =
            mounts.map(|mount| (self.within(&mount), mount)).partition(|(within, _)| within.is_some());
        // Mounts that show other groups (a tool has bound one to some place) say nothing of ours. Where no mount shows it, as in
        // some namespaces, what limits us is at the mount point at best: of the usual mount, the first.
        let seen = if showing.is_empty() { &others[..others.len().min(1)] } else { &showing[..] };
        seen.iter().filter_map(|(within, mount)| self.quota_at(within.as_deref(), mount, root)).min()
    }

    /// Where the group is below a mount point; None if the mount does not show it. A mount shows the hierarchy from its root
    /// down.
    fn within(&self, mount: &Mount) -> Option<PathBuf> {
        Path::new(OsStr::from_bytes(self.path)).strip_prefix(&mount.root).ok().and_then(relative)
    }

    /// The smallest quota from the group up to the mount point.
    fn quota_at(&self, within: Option<&Path>, mount: &Mount, root: &Path) -> Option<u32> {
        let top = root.join(relative(&mount.point)?);
        let group = top.join(within.unwrap_or(Path::new("")));
        group.ancestors().take_while(|group| group.starts_with(&top)).filter_map(|group| self.own_quota(group)).min()
    }

    fn own_quota(&self, group: &Path) -> Option<u32> {
        let numbers = |name: &str| -> Option<Vec<u64>> {
            let content = String::from_utf8(read(&group.join(name))?).ok()?;
            content.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
        };
        let (quota, period) = match self.version {
            Version::V2 => match numbers("cpu.max")?[..] {
                [quota, period] => (quota, period),
                _ => return None,
            },
            Version::V1 => (*numbers("cpu.cfs_quota_us")?.first()?, *numbers("cpu.cfs_period_us")?.first()?),
        };
        // The kernel has neither; a quota of nothing would stop the process.
        if quota == 0 || period == 0 {
            return None;
        }
        Some(quota.div_ceil(period).min(u32::MAX.into()) as u32)
    }
}

/// A line of /proc/thread-self/mountinfo that is a mount of a cgroup hierarchy:
/// `36 35 98:0 /root /mount/point options optional... - type source options`.
struct Mount {
    version: Version,
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let root = unescape(fields.by_ref().nth(3)?);
        let point = unescape(fields.next()?);
        let mut system = fields.skip_while(|&field| field != b"-").skip(1);
        let (kind, _source, options) = (system.next()?, system.next()?, system.next()?);
        let version = match kind {
            b"cgroup2" => Version::V2,
            b"cgroup" if has(options, b"cpu") => Version::V1,
            _ => return None,
        };
        Some(Mount { version, root, point })
    }
}

fn has(list: &[u8], item: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|one| one == item)
}

/// A path without its leading slash; None if it climbs.
fn relative(path: impl AsRef<Path>) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in path.as_ref().components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

/// Undoes the kernel's escapes of white space: `\040` is a space.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|code| byte == b'\\' && code.iter().all(|digit| (b'0'..b'8').contains(digit)));
        let code = code.map(|code| code.iter().fold(0u32, |value, digit| 8 * value + u32::from(digit - b'0')));
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    OsStr::from_bytes(&bytes).into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A file system of its own, in a temporary directory.
    pub struct Root(pub PathBuf);

    impl Root {
        pub fn new(files: &[(&str, &str)]) -> Root {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let root = Root(std::env::temp_dir().join(format!("weft-root-{}-{number}", std::process::id())));
            for (path, content) in files {
                let path = root.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            root
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                      32 23 0:28 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n";

    fn quota_of(files: &[(&str, &str)]) -> Option<u32> {
        quota(&Root::new(files).0)
    }

    /// One v2 group with this cpu.max.
    fn max(content: &str) -> Option<u32> {
        quota_of(&[
            ("proc/thread-self/cgroup", "0::/app\n"),
            ("proc/thread-self/mountinfo", V2),
            ("sys/fs/cgroup/app/cpu.max", content),
        ])
    }

    #[test]
    fn one_group() {
        assert_eq!(max("200000 100000\n"), Some(2));
        assert_eq!(max("150000 100000\n"), Some(2), "rounded up");
        assert_eq!(max("1000 100000\n"), Some(1));
        assert_eq!(max("max 100000\n"), None);
    }

    #[test]
    fn nonsense_sets_no_limit() {
        for content in [
            "",
            "max",
            "\n\n",
            "banana 100000",
            "100000",
            "-5 100000",
            "0 100000",
            "100000 0",
            "0 0",
            "99999999999999999999999999 100000",
            "1 2 3",
            "\u{0}\u{1}",
            "1.5 1",
        ] {
            assert_eq!(max(content), None, "{content:?}");
        }
        assert_eq!(max("18446744073709551615 1"), Some(u32::MAX), "huge is not small");
        assert_eq!(max("1 18446744073709551615"), Some(1));
    }

    #[test]
    fn the_smallest_above_counts() {
        let files = |outer, inner| {
            quota_of(&[
                ("proc/thread-self/cgroup", "0::/a/b/c\n"),
                ("proc/thread-self/mountinfo", V2),
                ("sys/fs/cgroup/a/cpu.max", outer),
                ("sys/fs/cgroup/a/b/c/cpu.max", inner),
                ("sys/fs/cgroup/other/cpu.max", "100000 100000"),
                ("sys/cpu.max", "100000 100000"),
            ])
        };
        assert_eq!(files("300000 100000", "max 100000"), Some(3));
        assert_eq!(files("300000 100000", "500000 100000"), Some(3));
        assert_eq!(files("max 100000", "500000 100000"), Some(5));
    }

    #[test]
    fn version_1() {
        let files = |quota, period| {
            quota_of(&[
                ("proc/thread-self/cgroup", "5:memory:/app\n4:cpu,cpuacct:/app/web\n1:name=systemd:/\n"),
                ("proc/thread-self/mountinfo", V1),
                ("sys/fs/cgroup/cpu,cpuacct/app/web/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu,cpuacct/app/web/cpu.cfs_period_us", period),
                ("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "700000\n"),
                ("sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/memory/app/cpu.cfs_quota_us", "100000\n"),
            ])
        };
        assert_eq!(files("250000\n", "100000\n"), Some(3));
        assert_eq!(files("-1\n", "100000\n"), Some(7), "the parent's");
        assert_eq!(files("250000\n", ""), Some(7));
        assert_eq!(files("250000\n", "0"), Some(7));
    }

    #[test]
    fn hybrid() {
        let both = format!("{V1}33 23 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        let files = |v2| {
            quota_of(&[
                ("proc/thread-self/cgroup", "4:cpu,cpuacct:/x\n0::/y\n"),
                ("proc/thread-self/mountinfo", &both),
                ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "400000"),
                ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000"),
                ("sys/fs/cgroup/unified/y/cpu.max", v2),
            ])
        };
        assert_eq!(files("max 100000"), Some(4));
        assert_eq!(files("300000 100000"), Some(3));
    }

    #[test]
    fn mounts_that_show_a_part() {
        let files = |group, root, point: &str| {
            let mounts = format!("30 23 0:26 {root} {point} rw shared:4 master:1 - cgroup2 cgroup2 rw\n");
            quota_of(&[
                ("proc/thread-self/cgroup", &format!("0::{group}\n")),
                ("proc/thread-self/mountinfo", &mounts),
                ("sys/fs/cgroup/cpu.max", "600000 100000"),
                ("sys/fs/cgroup/web/cpu.max", "200000 100000"),
                ("sys/fs/with space/web/cpu.max", "400000 100000"),
                ("cpu.max", "100000 100000"),
            ])
        };
        assert_eq!(files("/docker/1234/web", "/docker/1234", "/sys/fs/cgroup"), Some(2));
        assert_eq!(files("/web", "/elsewhere", "/sys/fs/cgroup"), Some(6), "out of sight: the mount point's");
        assert_eq!(files("/../../web", "/", "/sys/fs/cgroup"), Some(6), "a path that climbs is not followed");
        assert_eq!(files("/web", "/", "/sys/fs/with\\040space"), Some(4));
        assert_eq!(files("/web", "/", "/sys/../.."), None);
        assert_eq!(files("/", "/", "/sys/fs/cgroup"), Some(6));
    }

    #[test]
    fn mounts_that_show_other_groups() {
        let files = |group, mounts: &[&str]| {
            let lines = mounts.iter().map(|mount| format!("30 23 0:26 {mount} rw shared:4 - cgroup2 cgroup2 rw\n"));
            quota_of(&[
                ("proc/thread-self/cgroup", &format!("0::{group}\n")),
                ("proc/thread-self/mountinfo", &lines.collect::<String>()),
                ("sys/fs/cgroup/cpu.max", "600000 100000"),
                ("sys/fs/cgroup/app/web/cpu.max", "400000 100000"),
                ("mnt/foreign/cpu.max", "100000 100000"),
                ("mnt/own/cpu.max", "300000 100000"),
            ])
        };
        let (usual, foreign, own) = ("/ /sys/fs/cgroup", "/ap /mnt/foreign", "/app /mnt/own");
        assert_eq!(files("/app/web", &[usual, foreign]), Some(4), "not ours, for all that the name begins like ours");
        assert_eq!(files("/app/web", &[foreign, usual]), Some(4));
        assert_eq!(files("/app/web", &[foreign, usual, own]), Some(3), "what shows ours counts, wherever it is");
        // Unlimited itself, and seen as such.
        assert_eq!(files("/app/web", &["/app/web /nowhere", foreign]), None);
        // No mount shows it: the usual one's own, and not the smallest of all.
        assert_eq!(files("/../x", &[usual, foreign]), Some(6));
        assert_eq!(files("/../x", &["/ /nowhere", foreign]), None);
    }

    #[test]
    fn files_that_are_missing_or_torn() {
        assert_eq!(quota_of(&[]), None);
        assert_eq!(quota_of(&[("proc/thread-self/cgroup", "0::/\n")]), None);
        assert_eq!(quota_of(&[("proc/thread-self/mountinfo", V2), ("sys/fs/cgroup/cpu.max", "1 1")]), None);
        for mounts in
            ["", "30 23", "30 23 0:26 / /sys/fs/cgroup rw", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2", "- - - -"]
        {
            let files = [
                ("proc/thread-self/cgroup", "0::/\n::\n0:\n\n:::::\n0"),
                ("proc/thread-self/mountinfo", mounts),
                ("sys/fs/cgroup/cpu.max", "100000 100000"),
            ];
            assert_eq!(quota_of(&files), None, "{mounts:?}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescape(b"\\04"), Path::new("\\04"));
        assert_eq!(unescape(b"\\777\\"), Path::new("\\777\\"));
    }
}
