// windows
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_m, Axis_n> Axes_m_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const f32, 2> arg_x;
    Tensor<f32, 2> arg_out;
    Tensor<f32, 1> arg_diagonal;
    int dim_M;
    int dim_N;
    i32 arg_shift;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
windows(const __grid_constant__ Arguments args) {
    // for m in tile(M)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_n n;
    (void)program;
    // for n in tile(N)
    const int n_first = 0, n_last = args.dim_N;
    for (int n_at = n_first; n_at < n_last; n_at += Axis_n::step) {
        n.at(n_at, n_last);
        Tile<f32, Axes_m_n> v9;
        load<TW_VECTOR_0>(true, v9, args.arg_x.data, cast<f32>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], n));
        Tile<f32, Axes_m_n> v13;
        each(Axes_m_n, i) {
            // let left = x.at((m, n - 1)).or(0.0);
            const f32 left = (m.has(Axes_m_n::of<Axis_m>(i)) && n.has(Axes_m_n::of<Axis_n>(i)) && within((i64(n.index(Axes_m_n::of<Axis_n>(i))) + -1), args.dim_N) ? args.arg_x.data[args.arg_x.stride[0] * i64(m.index(Axes_m_n::of<Axis_m>(i))) + args.arg_x.stride[1] * (i64(n.index(Axes_m_n::of<Axis_n>(i))) + -1)] : 0e0f);
            // let right = x.at((m, n + shift)).or(- 1.0);
            const f32 right = (m.has(Axes_m_n::of<Axis_m>(i)) && n.has(Axes_m_n::of<Axis_n>(i)) && within((i64(n.index(Axes_m_n::of<Axis_n>(i))) + args.arg_shift), args.dim_N) ? args.arg_x.data[args.arg_x.stride[0] * i64(m.index(Axes_m_n::of<Axis_m>(i))) + args.arg_x.stride[1] * (i64(n.index(Axes_m_n::of<Axis_n>(i))) + args.arg_shift)] : -1e0f);
            const f32 v11 = (v9[i] * 2e0f);
            const f32 v12 = (left + v11);
            v13[i] = (v12 + right);
        }
        sync_program();
        // out[(m, n)] = left + x[(m, n)] * 2.0 + right;
        store<TW_VECTOR_1>(true, v13, args.arg_out.data, along(args.arg_out.stride[0], m), along(args.arg_out.stride[1], n));
    }
    Tile<f32, Axes_m> v15;
    each(Axes_m, i) v15[i] = (m.has(Axes_m::of<Axis_m>(i)) && inside(i64(m.index(Axes_m::of<Axis_m>(i))), args.dim_N, args.fault, args.launch, 0, 1) ? args.arg_x.data[args.arg_x.stride[0] * i64(m.index(Axes_m::of<Axis_m>(i))) + args.arg_x.stride[1] * i64(m.index(Axes_m::of<Axis_m>(i)))] : cast<f32>(0.0f));
    // diagonal[m] = x[(m, m.index())];
    store<TW_VECTOR_2>(true, v15, args.arg_diagonal.data, along(args.arg_diagonal.stride[0], m));
}
