//! Proofs that a leaf is in the tree of a checkpoint, as c2sp.org/tlog-proof@v1.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::tree::{Hash, largest_left, node_hash, root_of};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// A tree has no more levels.
const MOST_HASHES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub index: u64,
    /// From the sibling of the leaf up.
    pub path: Vec<Hash>,
    pub checkpoint: String,
}

impl Proof {
    /// The proof of one leaf of a tree.
    pub(super) fn of(leaves: &[Hash], index: usize, checkpoint: &str) -> Option<Self> {
        let mut path = Vec::new();
        let mut rest = leaves;
        let mut place = index;
        rest.get(place)?;
        while rest.len() > 1 {
            let left = largest_left(rest.len());
            let halves = rest.split_at_checked(left)?;
            if place < left {
                path.push(root_of(halves.1));
                rest = halves.0;
            } else {
                path.push(root_of(halves.0));
                rest = halves.1;
                place -= left;
            }
        }
        path.reverse();
        Some(Self {
            index: u64::try_from(index).ok()?,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// The root of the tree of this size in which the leaf is; `None` if no such tree has a proof of this length. RFC 9162,
    /// section 2.1.3.2.
    pub(super) fn root(&self, leaf: Hash, size: u64) -> Option<Hash> {
        if self.index >= size {
            return None;
        }
        let mut node = self.index;
        let mut last = size - 1;
        let mut hash = leaf;
        for sibling in &self.path {
            if last == 0 {
                return None;
            }
            if node % 2 == 1 || node == last {
                hash = node_hash(sibling, &hash);
                // A node at the right edge has no sibling on some levels.
                while node.is_multiple_of(2) && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(hash)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Proof {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = "is no proof after c2sp.org/tlog-proof@v1";
        let halves = text.split_once("\n\n").ok_or(odd)?;
        let mut lines = halves.0.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(odd);
        }
        let mut line = lines.next().ok_or(odd)?;
        if line.starts_with("extra ") {
            line = lines.next().ok_or(odd)?;
        }
        let number = line.strip_prefix("index ").ok_or(odd)?;
        let index: u64 = number.parse().map_err(|_number| odd)?;
        let path: Option<Vec<Hash>> = lines
            .map(|line| STANDARD.decode(line).ok()?.try_into().ok())
            .collect();
        let path = path.filter(|path| path.len() <= MOST_HASHES).ok_or(odd)?;
        if index.to_string() != number {
            return Err(odd);
        }
        Ok(Self {
            index,
            path,
            checkpoint: halves.1.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence_log::tree::{Frontier, leaf_hash};

    fn tree(size: usize) -> (Vec<Hash>, Hash) {
        let mut tree = Frontier::default();
        let leaf = |number: usize| number.to_string().into_bytes();
        (0..size).for_each(|number| tree.append(&leaf(number)));
        let hashes = (0..size).map(|number| leaf_hash(&leaf(number))).collect();
        (hashes, tree.root())
    }

    #[test]
    fn each_leaf_of_each_tree_has_a_proof_and_no_other_leaf_does() {
        for size in 1..70_usize {
            let (leaves, root) = tree(size);
            for index in 0..size {
                let proof = Proof::of(&leaves, index, "x\n").unwrap();
                let root_for = |leaf: usize, size: usize| proof.root(leaves[leaf], size as u64);
                assert_eq!(root_for(index, size), Some(root), "{index} of {size}");
                assert_eq!(proof.to_string().parse(), Ok(proof.clone()));
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(root_for(other, size), Some(root));
                }
                let mut moved = proof.clone();
                moved.index = (index as u64 + 1) % (size as u64 + 1);
                assert_ne!(moved.root(leaves[index], size as u64), Some(root));
                for number in 0..proof.path.len() {
                    let mut shorter = proof.clone();
                    shorter.path.remove(number);
                    assert_ne!(shorter.root(leaves[index], size as u64), Some(root));
                }
                let mut longer = proof.clone();
                longer.path.push(root);
                assert_ne!(longer.root(leaves[index], size as u64), Some(root));
            }
            assert_eq!(Proof::of(&leaves, size, "x\n"), None);
        }
    }

    #[test]
    fn a_proof_of_another_form_is_refused() {
        for text in [
            "",
            "c2sp.org/tlog-proof@v1\n\nx\n",
            "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex 00\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex -1\n\nx\n",
            "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx\n",
        ] {
            assert!(text.parse::<Proof>().is_err(), "{text}");
        }
    }
}
