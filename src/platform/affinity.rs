//! Which CPUs a thread may run on.

use std::fmt;
use std::io;

use libc::{c_int, cpu_set_t, pid_t};

/// A set of CPUs, by the numbers the system gives them. As long as it has to be (machines have more CPUs than fit libc's
/// `cpu_set_t`), with nothing but zeros left out: the system takes short sets, and equal sets compare equal.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask(Vec<u64>);

/// Words of the first guess: 1024 CPUs, as in `cpu_set_t`.
const WORDS: usize = 16;
/// Beyond a million CPUs, a refusal has other reasons.
const MAX_WORDS: usize = 1 << 14;

impl Mask {
    /// The CPUs the calling thread may run on.
    pub fn current() -> io::Result<Mask> {
        Self::of(0)
    }

    /// The CPUs the first thread of this process may run on.
    pub fn of_process() -> io::Result<Mask> {
        // SAFETY: getpid has no requirements.
        Self::of(unsafe { libc::getpid() })
    }

    fn of(thread: pid_t) -> io::Result<Mask> {
        let mut words = vec![0u64; WORDS];
        loop {
            // SAFETY: the kernel writes at most as many bytes as it is told there are.
            let result = unsafe {
                libc::sched_getaffinity(thread, size_of_val(&*words), words.as_mut_ptr().cast::<cpu_set_t>())
            };
            if result == 0 {
                return Ok(Self::trimmed(words));
            }
            let error = io::Error::last_os_error();
            // The kernel refuses a set that is smaller than its own.
            if error.raw_os_error() != Some(libc::EINVAL) || words.len() >= MAX_WORDS {
                return Err(error);
            }
            words = vec![0; 2 * words.len()];
        }
    }

    fn trimmed(mut words: Vec<u64>) -> Mask {
        words.truncate(words.iter().rposition(|&word| word != 0).map_or(0, |last| last + 1));
        Mask(words)
    }

    /// One CPU.
    pub fn single(cpu: u32) -> Mask {
        [cpu].into_iter().collect()
    }

    /// Every CPU there could be; the kernel takes from a set what it allows.
    pub fn full() -> Mask {
        Mask(vec![u64::MAX; WORDS])
    }

    /// Whether a CPU is in the set.
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.get(cpu as usize / 64).is_some_and(|word| word & (1 << (cpu % 64)) != 0)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Has the calling thread run on these CPUs only. Refused when the system allows none of them.
    pub fn apply(&self) -> io::Result<()> {
        // SAFETY: the kernel reads as many bytes as it is told there are.
        let result: c_int = unsafe { libc::sched_setaffinity(0, size_of_val(&*self.0), self.0.as_ptr().cast()) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl FromIterator<u32> for Mask {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Mask {
        let mut words = Vec::new();
        for cpu in cpus {
            let word = cpu as usize / 64;
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (cpu % 64);
        }
        Mask(words)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = 0..64 * self.0.len() as u32;
        f.debug_set().entries(cpus.filter(|&cpu| self.contains(cpu))).finish()
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_where_it_is_told() {
        std::thread::spawn(|| {
            let all = Mask::current().unwrap();
            assert!(all.count() >= 1);
            let cpu = (0..).find(|&cpu| all.contains(cpu)).unwrap();
            Mask::single(cpu).apply().unwrap();
            let one = Mask::current().unwrap();
            assert_eq!((one.count(), one.contains(cpu)), (1, true));
            Mask::full().apply().unwrap();
            assert!(Mask::current().unwrap().contains(cpu));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused() {
        // The last number below the kernel's own limit of 8192, on no machine that runs tests.
        let refused = Mask::single(8191).apply().unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(Mask::single(70_000).count(), 1);
        assert!(!Mask::single(3).contains(70_000));
    }

    #[test]
    fn equal_sets_are_equal() {
        let all = Mask::current().unwrap();
        let same: Mask = (0..100_000).filter(|&cpu| all.contains(cpu)).collect();
        assert_eq!(same, all);
        assert_eq!(Mask::trimmed(vec![8, 0, 0]), Mask::single(3));
        assert_eq!([].into_iter().collect::<Mask>().apply().unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
