//! One of several parts of a run, each for a machine of its own.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::report::MOST_SHARDS;

/// A part: `2/5` is the second of five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    number: u32,
    count: u32,
}

impl Shard {
    /// Returns whether a trial belongs to this part. That depends on its name alone, so that a case stays where it is when others
    /// are added.
    pub(super) fn has(self, trial: &str) -> bool {
        let digest = Sha256::digest(trial.as_bytes());
        let start: [u8; 8] = std::array::from_fn(|n| digest[n]);
        u64::from_be_bytes(start) % u64::from(self.count) == u64::from(self.number - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part of a run, such as 2/5 for the second of five");
        let (number, count) = text.trim().split_once('/').ok_or_else(wrong)?;
        let (number, count) = (number.parse().ok(), count.parse().ok());
        let (Some(number), Some(count)) = (number, count) else {
            return Err(wrong());
        };
        match (1..=count).contains(&number) && count <= MOST_SHARDS {
            true => Ok(Self { number, count }),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trial_is_in_one_part() {
        for count in [1, 2, 5, 16] {
            let parts: Vec<Shard> = (1..=count)
                .map(|n| format!("{n}/{count}").parse().unwrap())
                .collect();
            let mut sizes = vec![0; parts.len()];
            for n in 0..2_000 {
                let name = format!("shop::case-{n}");
                let own: Vec<usize> = (0..parts.len()).filter(|p| parts[*p].has(&name)).collect();
                assert_eq!(own.len(), 1, "{name} of {count}");
                sizes[own[0]] += 1;
            }
            // None is much larger than another one.
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(most - least < 2_000 / parts.len(), "{sizes:?}");
        }
        // Where a name belongs must not change from one version to the next.
        let part: Shard = "2/5".parse().unwrap();
        let own = (0..12).filter(|n| part.has(&format!("s::{n}")));
        assert_eq!(own.collect::<Vec<u32>>(), [2, 5]);
    }

    #[test]
    fn a_part_is_written_as_a_fraction() {
        for text in ["1/1", "2/5", " 5/5 "] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text.trim());
        }
        for text in [
            "", "0/5", "6/5", "1/0", "1", "a/b", "-1/5", "1/5/2", "1.5/3", "1/10001",
        ] {
            let why = text.parse::<Shard>().unwrap_err();
            assert!(why.contains("is no part of a run"), "{text}: {why}");
        }
    }
}
