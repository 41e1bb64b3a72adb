//! Hashes of RFC 6962, section 2.1, and the part of a tree that is needed to append to it.

use sha2::{Digest as _, Sha256};

pub(super) type Hash = [u8; 32];

pub(super) fn leaf_hash(leaf: &[u8]) -> Hash {
    let hash = Sha256::new().chain_update([0]).chain_update(leaf);
    hash.finalize().into()
}

pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]);
    hash.chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The roots of the complete subtrees that a tree consists of, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// `None` if a tree of this size consists of another number of subtrees.
    pub(super) fn of(size: u64, roots: Vec<Hash>) -> Option<Self> {
        let right = usize::try_from(size.count_ones()) == Ok(roots.len());
        right.then_some(Self { size, roots })
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// The root of the leaves from one place to another, which are some of the complete subtrees.
    fn part(&self, from: usize, to: usize) -> Hash {
        let mut end = 0;
        let mut roots = Vec::new();
        for (root, bit) in self.roots.iter().zip(bits(self.size)) {
            let begin = end;
            end += index(bit);
            if from <= begin && end <= to {
                roots.push(*root);
            }
        }
        Self { size: 0, roots }.root()
    }

    pub(super) fn append(&mut self, leaf: &[u8]) {
        self.append_hash(leaf_hash(leaf));
    }

    fn append_hash(&mut self, mut hash: Hash) {
        // Each one in the number of leaves, from the right, is a subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    pub(super) fn root(&self) -> Hash {
        let joined = self.roots.iter().rev().copied();
        joined
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// The proof that the tree of a size begins with the leaves of a smaller tree, of which `before` is the frontier and `added`
/// the leaves since. RFC 6962, section 2.1.2: it needs no leaf of the smaller tree.
pub(super) fn consistency(before: &Frontier, added: &[Hash]) -> Vec<Hash> {
    let first = index(before.size);
    let mut from = 0;
    let mut to = first + added.len();
    let mut proof = Vec::new();
    if first == 0 || first == to {
        return proof;
    }
    // Whether the smaller tree is a complete subtree of what is left, whose root the verifier knows.
    let mut is_whole = true;
    while first != to {
        let left = from + largest_left(to - from);
        if first <= left {
            let right = added.get(left - first..to - first);
            proof.push(root_of(right.unwrap_or_default()));
            to = left;
        } else {
            proof.push(before.part(from, left));
            from = left;
            is_whole = false;
        }
    }
    if !is_whole {
        proof.push(before.part(from, to));
    }
    proof.reverse();
    proof
}

/// The size of the left subtree of a tree of at least two leaves: the largest complete one that is not the whole.
pub(super) fn largest_left(size: usize) -> usize {
    1 << (usize::BITS - 1 - (size - 1).leading_zeros())
}

/// The sizes of the complete subtrees of a tree, the largest first.
fn bits(size: u64) -> impl Iterator<Item = u64> {
    let bits = (0..u64::BITS).rev().map(|bit| 1 << bit);
    bits.filter(move |bit| size & bit != 0)
}

fn index(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// The root of the tree whose leaves have these hashes.
pub(super) fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::default();
    for leaf in leaves {
        tree.append_hash(*leaf);
    }
    tree.root()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The leaves of the tests of Certificate Transparency, and the root after each of them.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// The check of RFC 9162, section 2.1.4.2, which a witness makes.
    pub(crate) fn is_consistent(first: u64, second: u64, roots: [Hash; 2], proof: &[Hash]) -> bool {
        let mut path = proof.iter().copied();
        let whole = first.is_power_of_two().then_some(roots[0]);
        let Some(seed) = whole.or_else(|| path.next()) else {
            return false;
        };
        let mut hashes = [seed, seed];
        let mut node = first - 1;
        let mut last = second - 1;
        while node % 2 == 1 {
            node >>= 1;
            last >>= 1;
        }
        for hash in path {
            if last == 0 {
                return false;
            }
            if node % 2 == 1 || node == last {
                hashes = hashes.map(|one| node_hash(&hash, &one));
                while node.is_multiple_of(2) && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hashes[1] = node_hash(&hashes[1], &hash);
            }
            node >>= 1;
            last >>= 1;
        }
        hashes == roots && last == 0
    }

    #[test]
    fn every_tree_is_proved_to_be_the_beginning_of_every_larger_one() {
        let leaves: Vec<Hash> = (0..40_u8).map(|leaf| leaf_hash(&[leaf])).collect();
        let mut before = Frontier::default();
        for first in 1..=leaves.len() {
            before.append_hash(leaves[first - 1]);
            for second in first + 1..=leaves.len() {
                let proof = consistency(&before, &leaves[first..second]);
                let roots = [root_of(&leaves[..first]), root_of(&leaves[..second])];
                let sizes = [first as u64, second as u64];
                assert!(is_consistent(sizes[0], sizes[1], roots, &proof));
                let others = [roots[0], root_of(&leaves[..second - 1])];
                assert!(!is_consistent(sizes[0], sizes[1], others, &proof));
            }
            assert_eq!(consistency(&before, &[]), Vec::<Hash>::new());
        }
        assert_eq!(
            consistency(&Frontier::default(), &leaves),
            Vec::<Hash>::new()
        );
    }

    #[test]
    fn the_roots_are_those_of_certificate_transparency() {
        let mut tree = Frontier::default();
        assert_eq!(hex::encode(tree.root()), ROOTS[0]);
        for (leaf, root) in LEAVES.iter().zip(&ROOTS[1..]) {
            tree.append(&hex::decode(leaf).unwrap());
            assert_eq!(hex::encode(tree.root()), *root);
            let again = Frontier::of(tree.size(), tree.roots().to_vec());
            assert_eq!(again.as_ref(), Some(&tree));
        }
        assert_eq!(Frontier::of(9, tree.roots().to_vec()), None);
    }
}
